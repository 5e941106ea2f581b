package main

import "syscall"

// dieWithParent makes the kernel end a process when the thread that started it
// ends, so that none outlives us when we are killed.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
