package main

import "github.com/chorale-rt/chorale/internal/engine/natsengine"

// natsLogin says who this is for the NATS servers of --engine.
type natsLogin struct {
	Creds    string `env:"CHORALE_NATS_CREDS" type:"existingfile" placeholder:"FILE" help:"Credentials file (JWT and seed) for the NATS servers."`
	Token    string `env:"CHORALE_NATS_TOKEN" help:"Token for the NATS servers."`
	User     string `env:"CHORALE_NATS_USER" help:"User of the NATS servers."`
	Password string `env:"CHORALE_NATS_PASSWORD" help:"The user's password."`
	CA       string `name:"ca" env:"CHORALE_NATS_CA" type:"existingfile" placeholder:"FILE" help:"PEM file with the roots that the NATS servers' certificates are checked against."`
	Cert     string `env:"CHORALE_NATS_CERT" type:"existingfile" placeholder:"FILE" help:"PEM file with this client's certificate."`
	Key      string `env:"CHORALE_NATS_KEY" type:"existingfile" placeholder:"FILE" help:"PEM file with its key."`
}

func (f *natsLogin) options() natsengine.Options {
	return natsengine.Options{
		Credentials: f.Creds, Token: f.Token, User: f.User, Password: f.Password,
		CA: f.CA, Certificate: f.Cert, Key: f.Key,
	}
}

// natsStreams say how the streams are made.
type natsStreams struct {
	Partitions int `default:"8" env:"CHORALE_NATS_PARTITIONS" help:"Number of streams; holds when they are made."`
	Replicas   int `default:"0" env:"CHORALE_NATS_REPLICAS" help:"Servers that keep each stream; 0 means 3 in a NATS cluster, 1 on a single server."`
}

// natsFlags say how the NATS servers of --engine are used.
type natsFlags struct {
	natsLogin   `embed:""`
	Prefix      string `default:"chorale" env:"CHORALE_NATS_PREFIX" help:"What subjects and streams begin with; the same for all nodes of a cluster."`
	natsStreams `embed:""`
}

func (f *natsFlags) options() natsengine.Options {
	o := f.natsLogin.options()
	o.Prefix, o.Partitions, o.Replicas = f.Prefix, f.Partitions, f.Replicas
	return o
}
