package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// yamlConfig reads the configuration file: one level of keys with the names of
// the flags. An unknown key is an error, because a typing error in a limit or a
// secret must not pass.
func yamlConfig(r io.Reader) (kong.Resolver, error) {
	values := map[string]any{}
	decoder := yaml.NewDecoder(r)
	if err := decoder.Decode(&values); err != nil && err != io.EOF {
		return nil, fmt.Errorf("config: %w", err)
	}
	return &yamlResolver{values}, nil
}

type yamlResolver struct{ values map[string]any }

// Validate implements kong.Resolver.
func (y *yamlResolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error { // the visitor below does not fail
		if flag, ok := node.(*kong.Flag); ok {
			known[flag.Name] = true
		}
		return next(nil)
	})
	for key := range y.values {
		if !known[key] {
			return fmt.Errorf("config: unknown key %q; keys are the names of flags, such as addr or jwt-secret", key)
		}
	}
	return nil
}

// Resolve implements kong.Resolver.
func (y *yamlResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := y.values[flag.Name]
	if !ok || inEnvironment(flag) {
		return nil, nil
	}
	if list, isList := value.([]any); isList {
		parts := make([]string, len(list))
		for i, v := range list {
			parts[i] = fmt.Sprint(v)
		}
		return strings.Join(parts, ","), nil
	}
	return fmt.Sprint(value), nil
}

// inEnvironment says whether the environment sets a flag, which is stronger than
// the file; kong asks resolvers all the same.
func inEnvironment(flag *kong.Flag) bool {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return true
		}
	}
	return false
}
