package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

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

// streams asks one NATS server for the leader of each of its streams.
func streams(ctx context.Context, monitor string) ([]string, error) {
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
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := json.NewDecoder(res.Body).Decode(&report); err != nil {
		return nil, fmt.Errorf("streams of %s: %w", monitor, err)
	}
	var out []string
	for _, a := range report.Accounts {
		for _, s := range a.Streams {
			out = append(out, s.Cluster.Leader)
		}
	}
	return out, nil
}
