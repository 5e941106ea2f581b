// Command bot is a colleague that never tires: it sits in an interview of the
// notes app, tags what the others write, and answers who asks it for a count.
//
//	make run  # in one terminal
//	go run ./examples/bot -interview 01930a00-0000-7000-8000-0000000000a1  # in another
//
// It is an example of package client: a program that reads records as they change,
// writes to them beside people, and takes part in presence and messages. What it
// decides is in tags.go, without the client; what it does is in bot.go.
package main
