package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

const (
	// maxConditionCost bounds one evaluation, in CEL's units of roughly one
	// operation each: a record with a hundred thousand tags must not make a
	// condition that walks them hold up everybody else.
	maxConditionCost = 200_000

	// maxConditionLength is in characters; more than that is a program.
	maxConditionLength = 4096
)

// A condition is a compiled expression of type bool.
type condition struct {
	text string
	line int // in the rules file

	program  cel.Program // nil when the expression has no variables:
	constant bool        // then this is its value
}

// eval returns the condition's value. An error means that it has none.
func (c *condition) eval(vars cel.Activation) (bool, error) {
	if c.program == nil {
		return c.constant, nil
	}
	out, _, err := c.program.Eval(vars)
	if err != nil {
		return false, err
	}
	value, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the value is a %s and not a bool", out.Type().TypeName())
	}
	return value, nil
}

// A compiler makes conditions that see the variables of one rule.
type compiler struct{ plain, write *cel.Env }

// baseEnv is what all conditions of a file have in common.
func baseEnv() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("params", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("channel", cel.StringType),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxConditionLength),
	)
}

// newCompiler adds to base the names that a rule's pattern binds.
func newCompiler(base *cel.Env, p *pattern) (*compiler, error) {
	var names []cel.EnvOption
	for _, q := range p.params {
		if isBareName(q.name) {
			names = append(names, cel.Variable(q.name, cel.StringType))
		}
	}
	plain, err := base.Extend(names...)
	if err != nil {
		return nil, err
	}
	write, err := plain.Extend(
		cel.Variable("record", cel.DynType), // a map, or null
		cel.Variable("mutation", cel.MapType(cel.StringType, cel.DynType)),
	)
	return &compiler{plain: plain, write: write}, err
}

// isBareName reports whether a bound name can be a variable of its own. Others
// are reached through params: those that mean something else already, and the
// words and types of CEL.
func isBareName(name string) bool {
	return !slices.Contains([]string{
		"claims", "params", "channel", "record", "mutation",
		"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let",
		"loop", "package", "namespace", "null", "return", "true", "var", "void", "while",
		"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint",
	}, name)
}

// compile returns an error of one line that does not repeat the text.
func compile(env *cel.Env, text string, line int) (*condition, error) {
	c := &condition{text: text, line: line}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, issuesError(issues)
	}
	if checked.OutputType() != cel.BoolType {
		return nil, notBool(checked.OutputType())
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxConditionCost))
	if err != nil {
		return nil, err
	}
	c.program = program
	if !hasVariables(checked) {
		if c.constant, err = c.eval(cel.NoVars()); err != nil {
			return nil, err
		}
		c.program = nil
	}
	return c, nil
}

func notBool(t *cel.Type) error {
	if t.Kind() == types.DynKind {
		return errors.New("its type is known only when it runs: compare it with something, as in `… == true`")
	}
	return fmt.Errorf("it is a %s and not a bool", t)
}

func issuesError(issues *cel.Issues) error {
	var all []string
	for _, e := range issues.Errors() {
		message := strings.Join(strings.Fields(e.Message), " ")
		message = strings.TrimSuffix(message, " (in container '')")
		all = append(all, fmt.Sprintf("%s (at character %d)", message, e.Location.Column()+1))
	}
	return errors.New(strings.Join(all, "; "))
}

// hasVariables reports whether an expression's value can differ between two
// evaluations. Variables of macros count too, which costs nothing but speed.
func hasVariables(checked *cel.Ast) bool {
	found := false
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.IdentKind
	}))
	return found
}
