package server

import (
	"fmt"

	"github.com/chorale-rt/chorale/internal/policy"
)

// loadPolicy reads the rules, and compiles what they refer to.
func loadPolicy(o *Options) (*policy.Policy, error) {
	rules, err := loadRules(o)
	if err != nil {
		return nil, err
	}
	return policy.New(rules)
}

// Reload reads the rules anew and puts them in the place of the old ones, all at
// once. When it fails nothing has changed; the error names every fault with its
// file and line, one per line.
//
// What is asked of the rules from then on is answered by the new ones: joins and
// calls of the HTTP API at once, members at their next push or when their token is
// looked at (J5). It may be called from any goroutine, also while Run runs.
func (s *Server) Reload() error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	p, err := loadPolicy(&s.opts)
	s.metrics.RulesReloaded(err == nil)
	if err != nil {
		return fmt.Errorf("reload rules: %w", err)
	}
	s.policy.Store(p)
	return nil
}
