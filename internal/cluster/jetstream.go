package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// handOver is how long a stream may take to answer that its leader steps down.
const handOver = 5 * time.Second

// Leaders counts, by NATS server, of how many streams it is the leader. Servers
// that do not answer are left out; of a stream that is without a leader nobody
// says anything.
func (c *Cluster) Leaders(ctx context.Context) (map[int]int, error) {
	of := make(map[string]int)
	for i, p := range c.NATS {
		of[p.name] = i
	}
	var last error
	for i := range Size {
		led, err := streams(ctx, c.monitors[i])
		if err != nil {
			last = err
			continue
		}
		out := make(map[int]int)
		for _, leader := range led {
			if at, ok := of[leader]; ok {
				out[at]++
			}
		}
		return out, nil
	}
	return nil, last
}

// StepDown has the leader of every stream hand over to another server.
func (c *Cluster) StepDown(ctx context.Context) error {
	led, err := streams(ctx, c.monitors[0])
	if err != nil {
		return err
	}
	nc, err := nats.Connect(strings.Join(c.clients[:], ","))
	if err != nil {
		return fmt.Errorf("step down: %w", err)
	}
	defer nc.Close()
	for _, name := range slices.Sorted(maps.Keys(led)) {
		if err := stepDown(ctx, nc, name); err != nil {
			return fmt.Errorf("step down as the leader of %s: %w", name, err)
		}
	}
	return nil
}

func stepDown(ctx context.Context, nc *nats.Conn, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, handOver)
	defer cancel()
	answer, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil)
	if err != nil {
		return err
	}
	var said struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil {
		return err
	}
	if said.Error != nil {
		return errors.New(said.Error.Description)
	}
	return nil
}

// streams asks one NATS server for the leader of each of its streams, by the
// stream's name.
func streams(ctx context.Context, monitor string) (map[string]string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, monitor+"/jsz?streams=true", nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var report struct {
		Accounts []struct {
			Streams []struct {
				Name    string `json:"name"`
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := json.NewDecoder(res.Body).Decode(&report); err != nil {
		return nil, fmt.Errorf("streams of %s: %w", monitor, err)
	}
	out := make(map[string]string)
	for _, a := range report.Accounts {
		for _, s := range a.Streams {
			out[s.Name] = s.Cluster.Leader
		}
	}
	return out, nil
}
