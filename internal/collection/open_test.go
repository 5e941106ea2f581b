package collection

import (
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

func openEngine(tb testing.TB, dir string) engine.Engine { return newFake() }
