package berthfn

import "syscall"

// dup2 is not there on every Linux; dup3 is.
func dup2(from, to int) error { return syscall.Dup3(from, to, 0) }
