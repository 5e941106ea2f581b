package embedded

import "golang.org/x/sys/unix"

// bootID names this start of the machine; "" when the kernel does not say.
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
