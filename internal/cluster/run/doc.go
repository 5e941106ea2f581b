// Command run starts a cluster for people to try; make cluster calls it.
package main
