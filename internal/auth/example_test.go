package auth_test

import (
	"fmt"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
)

func ExampleVerifier_Verify() {
	secret := []byte("at least thirty-two bytes, please")
	verifier, err := auth.NewVerifier(auth.VerifierOptions{Secret: secret})
	if err != nil {
		fmt.Println(err)
		return
	}

	token, _ := auth.Mint(secret, auth.MintOptions{Subject: "user-7", Role: "editor"})
	id, err := verifier.Verify(token)
	fmt.Println(id, err)

	yesterday := func() time.Time { return time.Now().Add(-24 * time.Hour) }
	token, _ = auth.Mint(secret, auth.MintOptions{Subject: "user-7", TTL: 23 * time.Hour, Now: yesterday})
	_, err = verifier.Verify(token)
	fmt.Println(err)
	// Output:
	// "user-7" (editor) <nil>
	// token_expired: Token has expired 3600 seconds ago
}

func ExampleParseRules() {
	rules, err := auth.ParseRules("rules.yaml", []byte(`
channels:
  - match: "interview:{id}"
    join: 'claims.role == "authenticated"'
    collections:
      notes:
        write: 'record == null || record.createdBy == claims.sub'
`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	ada := &auth.Identity{Claims: map[string]any{"sub": "ada", "role": "authenticated"}}
	match, _ := rules.Match("interview:42")
	fmt.Println(match.May(auth.Join, ada))
	note := map[string]any{"createdBy": "bob"}
	decision := match.MayWrite("notes", ada, auth.Record(note), auth.Mutation{Op: "patch"})
	fmt.Println(decision)
	fmt.Println(decision.Reason())
	// Output:
	// join in "interview:42" allowed by rules.yaml:4 (interview:{id}): claims.role == "authenticated"
	// write notes in "interview:42" denied by rules.yaml:7 (interview:{id}): record == null || record.createdBy == claims.sub
	// The rule for "interview:{id}" does not let you write this record of the collection "notes"
}
