// Package enginetest is the suite that every implementation of engine.Engine
// passes. Its tests carry the numbers of the guarantees in package engine.
//
//	func TestEngine(t *testing.T) {
//		enginetest.Run(t, func(t *testing.T) engine.Engine { … })
//	}
//
// Run closes the engines it opened. What only some engines can do in a test —
// be opened again on the same data, be told the time, have other nodes beside
// them — is tested when the matching option says how.
//
// The suite waits for conditions and never for time to pass.
package enginetest
