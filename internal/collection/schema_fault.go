package collection

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	keyword "github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/chorale-rt/chorale/protocol"
)

// schemaFault makes one path and one sentence of a validation error. The
// library walks maps, so the order of its findings is chance; the first by path
// is told, that a repeat may get the same answer.
func schemaFault(err error) *fault {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return &fault{code: protocol.CodeSchemaViolation, sentence: err.Error()}
	}
	var all []*fault
	collectFaults(invalid, &all)
	return slices.MinFunc(all, func(a, b *fault) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.sentence, b.sentence))
	})
}

func collectFaults(err *jsonschema.ValidationError, into *[]*fault) {
	if len(err.Causes) > 0 && !isChoice(err.ErrorKind) {
		for _, cause := range err.Causes {
			collectFaults(cause, into)
		}
		return
	}
	at := err.InstanceLocation
	switch k := err.ErrorKind.(type) {
	case *keyword.Required:
		for _, name := range k.Missing {
			*into = append(*into, newSchemaFault(append(slices.Clone(at), name), "is missing"))
		}
	case *keyword.AdditionalProperties:
		for _, name := range k.Properties {
			*into = append(*into, newSchemaFault(append(slices.Clone(at), name), "is not a property of this collection"))
		}
	default:
		*into = append(*into, newSchemaFault(at, sentenceOf(err.ErrorKind)))
	}
}

// isChoice says whether the causes of an error are alternatives, of which no
// single one is to blame.
func isChoice(k jsonschema.ErrorKind) bool {
	switch k.(type) {
	case *keyword.AnyOf, *keyword.OneOf, *keyword.Not, *keyword.Contains:
		return true
	}
	return false
}

func newSchemaFault(path []string, verb string) *fault {
	sentence := "the record " + verb
	if len(path) > 0 {
		sentence = strings.Join(path, ".") + ": " + verb
	}
	return &fault{code: protocol.CodeSchemaViolation, path: pointer(path...), sentence: sentence}
}

// sentenceOf says what a value should have been. It never repeats the value.
func sentenceOf(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *keyword.Type:
		want := make([]string, len(k.Want))
		for i, name := range k.Want {
			want[i] = article(name)
		}
		return "must be " + strings.Join(want, " or ") + ", not " + article(k.Got)
	case *keyword.Enum:
		return "must be one of " + listed(k.Want)
	case *keyword.Const:
		return "must be " + listed([]any{k.Want})
	case *keyword.Format:
		return "must be a valid " + k.Want
	case *keyword.Pattern:
		return "must match " + k.Want
	case *keyword.UniqueItems:
		return "must not have an item twice"
	case *keyword.PropertyNames:
		return fmt.Sprintf("must not have a property named %q", k.Property)
	case *keyword.DependentRequired:
		return "must have " + strings.Join(k.Missing, ", ") + " with " + k.Prop
	case *keyword.Dependency:
		return "must have " + strings.Join(k.Missing, ", ") + " with " + k.Prop
	case *keyword.FalseSchema:
		return "is not allowed"
	case *keyword.AnyOf, *keyword.OneOf:
		return "fits none, or more than one, of the forms it may have"
	case *keyword.Not:
		return "has a form that is ruled out"
	case *keyword.Contains, *keyword.MinContains, *keyword.MaxContains:
		return "has too few or too many items of a certain form"
	}
	if bound := boundOf(k); bound != "" {
		return bound
	}
	return "breaks the schema's " + strings.Join(k.KeywordPath(), " ")
}

// boundOf is sentenceOf for what is counted or compared.
func boundOf(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *keyword.MinLength:
		return "must be at least " + counted(k.Want, "character")
	case *keyword.MaxLength:
		return "must be at most " + counted(k.Want, "character")
	case *keyword.MinItems:
		return "must have at least " + counted(k.Want, "item")
	case *keyword.MaxItems:
		return "must have at most " + counted(k.Want, "item")
	case *keyword.AdditionalItems:
		return "has " + counted(k.Count, "item") + " too many"
	case *keyword.MinProperties:
		return "must have at least " + counted(k.Want, "name")
	case *keyword.MaxProperties:
		return "must have at most " + counted(k.Want, "name")
	case *keyword.Minimum:
		return "must be at least " + number(k.Want)
	case *keyword.Maximum:
		return "must be at most " + number(k.Want)
	case *keyword.ExclusiveMinimum:
		return "must be more than " + number(k.Want)
	case *keyword.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *keyword.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	}
	return ""
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func number(r *big.Rat) string {
	f, _ := r.Float64()
	return string(appendNumber(nil, f))
}

func article(noun string) string {
	switch {
	case noun == "null":
		return noun
	case strings.ContainsAny(noun[:1], "aeiou"):
		return "an " + noun
	default:
		return "a " + noun
	}
}

func listed(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte("?")
		}
		texts[i] = string(text)
	}
	return strings.Join(texts, ", ")
}
