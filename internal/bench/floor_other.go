//go:build !linux

package bench

import (
	"context"
	"errors"
	"fmt"
)

// ServeFloor needs Linux: it is written against epoll, to be as cheap as a server
// can be. Elsewhere the error wraps errors.ErrUnsupported.
func ServeFloor(context.Context, string, func(addr string)) error {
	return fmt.Errorf("floor: %w", errors.ErrUnsupported)
}
