package cluster

import (
	"bufio"
	"io"
	"net"
	"testing"
)

// echo answers every line with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(conn, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

func TestWire(t *testing.T) {
	w, err := newWire(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", w.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	answered := func(conn net.Conn) bool {
		if _, err := io.WriteString(conn, "hello\n"); err != nil {
			return false
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		return err == nil && line == "hello\n"
	}
	open := dial()
	if !answered(open) {
		t.Fatal("nothing comes through a whole wire")
	}
	w.Cut()
	if answered(open) {
		t.Error("an open connection outlived the cut")
	}
	if answered(dial()) {
		t.Error("something came through a cut wire")
	}
	w.Heal()
	if again := dial(); !answered(again) {
		t.Error("nothing comes through a healed wire")
	} else {
		again.Close()
	}
}
