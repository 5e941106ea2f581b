package sim

import (
	"cmp"
	"maps"
	"slices"
)

// sortedKeys are a map's keys in order: nothing here may depend on chance.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
