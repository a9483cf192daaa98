package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// readNewPassword asks twice at a terminal, without showing what is typed; from
// anything else it reads the first line. A password is no argument: those can be
// read by everybody on the machine.
func readNewPassword(in *os.File, prompt io.Writer) (string, error) {
	if !term.IsTerminal(int(in.Fd())) {
		return readLine(in)
	}
	first, err := ask(in, prompt, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := ask(in, prompt, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two are not the same")
	}
	return first, nil
}

func ask(in *os.File, prompt io.Writer, question string) (string, error) {
	fmt.Fprint(prompt, question)
	typed, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(prompt)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return string(typed), nil
}

// longestLine bounds what is read for a password, in bytes.
const longestLine = 4096

func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, longestLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("no password: type it at a terminal, or give it on standard input, as one line")
	}
	return line, nil
}
