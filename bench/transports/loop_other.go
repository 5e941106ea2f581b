//go:build !linux

package main

import (
	"context"
	"errors"
	"net"
)

// An ownLoop needs Linux.
type ownLoop struct{ blocks, here, raw bool }

func (ownLoop) serve(context.Context, *hall, func(net.Addr)) error { return errors.ErrUnsupported }
