package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// process is a child with a process group of its own: signals reach what it starts, and a Ctrl-C meant for the
// launcher does not reach the components before the command has ended.
type process struct {
	name  string
	log   string
	cmd   *exec.Cmd
	began time.Time
	done  chan struct{} // closed when it has ended
	guard *guardian
}

// startProcess must be called from the main goroutine (see init in main.go).
func startProcess(g *guardian, cmd *exec.Cmd, foreground bool) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Pdeathsig:  syscall.SIGKILL,
		Foreground: foreground, // or it could not read from the terminal; Ctty 0 is our stdin
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, began: time.Now(), done: make(chan struct{}), guard: g}
	g.add(cmd.Process.Pid)
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // its ProcessState says how it ended
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the whole group: asked first if there is a grace period, then killed.
func (p *process) stop(grace time.Duration) {
	if grace > 0 {
		p.signal(syscall.SIGTERM)
		for deadline := time.Now().Add(grace); p.groupLives() && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	p.guard.forget(p.cmd.Process.Pid)
}

func (p *process) groupLives() bool {
	return !errors.Is(syscall.Kill(-p.cmd.Process.Pid, 0), syscall.ESRCH)
}

// exitCode follows the shell's convention for a process that a signal ended. Only for a process that has ended.
func (p *process) exitCode() int {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// failure is an error that shows the end of the component's log. The log itself is kept only with CLUSTER_KEEP=1.
func (p *process) failure(what string) error {
	where := p.log
	if os.Getenv("CLUSTER_KEEP") != "1" {
		where += " (set CLUSTER_KEEP=1 to keep it)"
	}
	return fmt.Errorf("%s %s; the end of its log %s:\n%s", p.name, what, where, p.logTail())
}

func (p *process) logTail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// holdsTerminal says whether our stdin is a terminal that listens to us, so that it can be lent to the command.
func holdsTerminal() bool {
	var group int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCGPGRP, uintptr(unsafe.Pointer(&group)))
	return errno == 0 && int(group) == syscall.Getpgrp()
}

// takeTerminal takes the terminal back from the command.
func takeTerminal() {
	signal.Ignore(syscall.SIGTTOU) // or we would be stopped: this is done from the background
	group := int32(syscall.Getpgrp())
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCSPGRP, uintptr(unsafe.Pointer(&group)))
}
