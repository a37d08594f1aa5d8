package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPasswordLine bounds what is read for a password.
const maxPasswordLine = 4096

// readPassword asks for a new password twice, without showing it; with stdin set
// it reads the first line of the input instead.
func (a *app) readPassword(ctx context.Context, stdin bool) (string, error) {
	if stdin {
		line, err := bufio.NewReader(io.LimitReader(a.in, maxPasswordLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	file, ok := a.in.(*os.File)
	if !ok || !isTerminal(a.in) {
		return "", usagef("there is no terminal to ask for the password on: give it with --password-stdin")
	}
	password, err := a.ask(ctx, file, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := a.ask(ctx, file, "Once more: ")
	if err != nil {
		return "", err
	}
	if password != again {
		return "", usagef("the two are not the same")
	}
	return password, nil
}

// ask reads a line from the terminal without showing it. When ctx ends, the
// terminal shows again what is typed.
func (a *app) ask(ctx context.Context, file *os.File, prompt string) (string, error) {
	fd := int(file.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	fmt.Fprint(a.err, prompt)
	type answer struct {
		text []byte
		err  error
	}
	read := make(chan answer, 1)
	// It ends with the program at the latest: nothing else reads the terminal.
	go func() {
		text, err := term.ReadPassword(fd)
		read <- answer{text, err}
	}()
	select {
	case got := <-read:
		fmt.Fprintln(a.err)
		if got.err != nil {
			return "", fmt.Errorf("read the password: %w", got.err)
		}
		return string(got.text), nil
	case <-ctx.Done():
		_ = term.Restore(fd, state)
		fmt.Fprintln(a.err)
		return "", ctx.Err()
	}
}
