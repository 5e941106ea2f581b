package auth

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// A Mutation is what a condition sees as mutation: an object. Most conditions ask
// for op alone, so what is known is named, and the whole is made for those that ask
// for more.
type Mutation struct {
	Op, Collection, Record string // "" is asked of the whole
	// Whole makes all of the object, of plain JSON values that are only read. It is
	// called once at most; nil stands for an empty object.
	Whole func() map[string]any
}

// PlainMutation is a Mutation that is there already.
func PlainMutation(plain map[string]any) Mutation {
	return Mutation{Whole: func() map[string]any { return plain }}
}

// askedMutation is a Mutation as a map of CEL.
type askedMutation struct {
	Mutation
	made traits.Mapper // what Whole has made; nil before it was asked
}

var _ traits.Mapper = (*askedMutation)(nil)

func (m *askedMutation) whole() traits.Mapper {
	if m.made == nil {
		var plain map[string]any
		if m.Whole != nil {
			plain = m.Whole()
		}
		m.made = types.NewStringInterfaceMap(types.DefaultTypeAdapter, plain)
	}
	return m.made
}

// Find implements traits.Mapper.
func (m *askedMutation) Find(key ref.Val) (ref.Val, bool) {
	known := ""
	switch key {
	case types.String("op"):
		known = m.Op
	case types.String("collection"):
		known = m.Collection
	case types.String("record"):
		known = m.Record
	}
	if known != "" {
		return types.String(known), true
	}
	return m.whole().Find(key)
}

// Get implements traits.Indexer.
func (m *askedMutation) Get(key ref.Val) ref.Val { return m.whole().Get(key) }

// Contains implements traits.Container.
func (m *askedMutation) Contains(key ref.Val) ref.Val { return m.whole().Contains(key) }

// Size implements traits.Sizer.
func (m *askedMutation) Size() ref.Val { return m.whole().Size() }

// Iterator implements traits.Iterable.
func (m *askedMutation) Iterator() traits.Iterator { return m.whole().Iterator() }

// ConvertToNative implements ref.Val.
func (m *askedMutation) ConvertToNative(to reflect.Type) (any, error) {
	return m.whole().ConvertToNative(to)
}

// ConvertToType implements ref.Val.
func (m *askedMutation) ConvertToType(to ref.Type) ref.Val { return m.whole().ConvertToType(to) }

// Equal implements ref.Val.
func (m *askedMutation) Equal(other ref.Val) ref.Val { return m.whole().Equal(other) }

// Type implements ref.Val.
func (m *askedMutation) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (m *askedMutation) Value() any { return m.whole().Value() }
