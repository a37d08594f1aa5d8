// Command shim is what runs inside the sandboxes of this package's tests: it
// connects as a shim does and then does what it is told, a line at a time.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "exit":
			code, _ := strconv.Atoi(os.Args[2])
			os.Exit(code)
		case "sleep":
			time.Sleep(time.Hour)
		}
	}
	logs, err := net.Dial("unix", "/cove/log.sock")
	if err != nil {
		os.Exit(90)
	}
	if _, err := net.Dial("unix", "/cove/log.sock"); err != nil {
		os.Exit(92)
	}
	conn, err := net.Dial("unix", "/cove/conn.sock")
	if err != nil {
		os.Exit(91)
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Fprintln(conn, do(strings.Fields(lines.Text()), logs))
	}
}

func do(words []string, logs net.Conn) string {
	switch words[0] {
	case "ping":
		return "pong"
	case "log":
		fmt.Fprintln(logs, strings.Join(words[1:], " "))
		return "ok"
	case "exit":
		code, _ := strconv.Atoi(words[1])
		os.Exit(code)
	case "abort":
		_ = exec.Command("/shim", "sleep").Start()
		panic("abort")
	case "alloc":
		size, _ := strconv.Atoi(words[1])
		b := make([]byte, size)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		return strconv.Itoa(len(b))
	case "dial":
		c, err := net.DialTimeout("tcp4", words[1], 2*time.Second)
		if err != nil {
			return err.Error()
		}
		_ = c.Close()
		return "connected"
	case "read":
		b, err := os.ReadFile(words[1])
		if err != nil {
			return "error: " + err.Error()
		}
		return strconv.Quote(string(b))
	case "write":
		f, err := os.Create(words[1])
		if err != nil {
			return "error: " + err.Error()
		}
		defer func() { _ = f.Close() }()
		size, _ := strconv.Atoi(words[2])
		if _, err := f.Write(make([]byte, size)); err != nil {
			return "error: " + err.Error()
		}
		return "ok"
	case "call": // a system call by its number, with small numbers
		var n [4]uintptr
		for i, word := range words[1:] {
			v, _ := strconv.Atoi(word)
			n[i] = uintptr(v)
		}
		_, _, errno := syscall.RawSyscall(n[0], n[1], n[2], n[3])
		return errno.Error()
	case "env":
		return strings.Join(os.Environ(), " ")
	case "id":
		host, _ := os.Hostname()
		return fmt.Sprint(os.Getpid(), " ", os.Getuid(), " ", os.Getgid(), " ", host)
	case "interfaces":
		all, _ := net.Interfaces()
		var names []string
		for _, i := range all {
			names = append(names, i.Name)
		}
		return strings.Join(names, " ")
	}
	return "what?"
}
