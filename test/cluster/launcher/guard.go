package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const guardArgument = "--guard"

// guardian is this program a second time, in a session of its own. It cleans up after a launcher that could not do so
// itself (kill -9): the kernel then kills the launcher's children, but not their children, nor removes the work folder.
type guardian struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startGuard(workdir string) (*guardian, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, guardArgument, workdir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	return &guardian{cmd: cmd, pipe: pipe}, nil
}

func (g *guardian) add(group int)    { fmt.Fprintf(g.pipe, "+%d\n", group) }
func (g *guardian) forget(group int) { fmt.Fprintf(g.pipe, "-%d\n", group) }

// dismiss is for a launcher that has cleaned up: nothing is left for the guard to do.
func (g *guardian) dismiss() {
	if g == nil {
		return
	}
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
}

// guard runs in the second process: it keeps the list of process groups, and acts when the launcher's end of the pipe
// closes, which the kernel does however the launcher ends.
func guard(workdir string) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	groups := map[int]bool{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		// "+12" adds the group 12, "-12" removes it.
		group, err := strconv.Atoi(lines.Text())
		switch {
		case err != nil || group == 0:
		case group > 0:
			groups[group] = true
		default:
			delete(groups, -group)
		}
	}
	for group := range groups {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	if os.Getenv("CLUSTER_KEEP") == "1" {
		return
	}
	// What was just killed may still be writing.
	for range 20 {
		if err := os.RemoveAll(workdir); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	say("could not remove %s", workdir)
}
