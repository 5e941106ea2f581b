package main

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// serveHTTP serves a handler with net/http, until ctx ends. Connections that were
// taken away from net/http end with the process.
func serveHTTP(ctx context.Context, ready func(net.Addr), handler http.HandlerFunc) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: handler}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { web.Close(); close(ended) })
	defer func() {
		if !stop() {
			<-ended
		}
	}()
	ready(l.Addr())
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
