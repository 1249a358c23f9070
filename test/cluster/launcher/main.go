// Command launcher runs a command against a Kubernetes API of its own: etcd and kube-apiserver on this machine, in a
// temporary folder, for as long as the command runs. README.md in the folder above says how to use it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = "usage: run.sh [--cert-manager] [--restart] [--] COMMAND ARGS..."

func init() {
	// The kernel ties "kill the child when its parent dies" to the thread that started the child. Everything is started
	// from the main goroutine; this keeps that goroutine on the main thread, which lives as long as the process.
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == guardArgument {
		guard(os.Args[2])
		return
	}
	os.Exit(run())
}

// interrupted says that a signal asked for the end while the cluster was still starting.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "stopped by " + i.signal.String() }

// cluster is what has been started so far.
type cluster struct {
	bin         string
	crds        string
	certManager string // the executable, or nothing
	restart     bool   // a component that ends while the command runs is started again
	workdir     string
	kubeconfig  string
	signals     chan os.Signal
	guard       *guardian
	components  []*process // in the order in which they were started
}

func run() int {
	flags := flag.NewFlagSet("run.sh", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	bin := flags.String("bin", "", "folder with etcd, kube-apiserver and kubectl")
	crds := flags.String("crds", "", "file or folder with CustomResourceDefinitions to apply")
	certManager := flags.String("cert-manager", "", "cert-manager's controller, to be run too as: EXECUTABLE --kubeconfig=FILE")
	restart := flags.Bool("restart", false, "start a component again that ends while the command runs")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}
	command := flags.Args()
	if *bin == "" || *crds == "" || len(command) == 0 {
		flags.Usage()
		return 2
	}
	c := &cluster{
		bin: *bin, crds: *crds, certManager: *certManager, restart: *restart, signals: make(chan os.Signal, 8),
	}
	signal.Notify(c.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer c.stop()

	err := c.start()
	if err == nil && c.certManager != "" {
		err = c.startCertManager()
	}
	if err != nil {
		say("%v", err)
		if i, ok := errors.AsType[interrupted](err); ok {
			return 128 + int(i.signal)
		}
		return 1
	}
	return c.runCommand(command)
}

// start brings up etcd and the API server, and applies the CustomResourceDefinitions.
func (c *cluster) start() error {
	began := time.Now()
	var err error
	if c.workdir, err = os.MkdirTemp("", "wasm-issuer-cluster-"); err != nil {
		return err
	}
	if c.guard, err = startGuard(c.workdir); err != nil {
		return err
	}
	c.kubeconfig = filepath.Join(c.workdir, "kubeconfig")

	certManager := "0"
	if c.certManager != "" {
		certManager = "1"
	}
	// For every child: our kubectl first, and never the user's own cluster or cache.
	for name, value := range map[string]string{
		"PATH":                     c.bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"KUBECONFIG":               c.kubeconfig,
		"KUBECACHEDIR":             filepath.Join(c.workdir, "kubecache"),
		"WASM_ISSUER_TEST_CLUSTER": "1",
		"WASM_ISSUER_CERT_MANAGER": certManager,
		"CLUSTER_WORKDIR":          c.workdir,
		"CLUSTER_BIN":              c.bin,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}

	etcd, err := c.startEtcd()
	if err != nil {
		return err
	}
	if err := c.startAPIServer(etcd); err != nil {
		return err
	}
	say("API server ready after %.1f s", time.Since(began).Seconds())

	if err := c.kubectl("apply", "--server-side", "-f", c.crds); err != nil {
		return err
	}
	if err := c.kubectl("wait", "--for=condition=Established", "--timeout=2m", "crd", "--all"); err != nil {
		return err
	}
	say("cluster ready after %.1f s, in %s", time.Since(began).Seconds(), c.workdir)
	return nil
}

// startCertManager runs the controllers as the cluster's admin: their own permissions are not what is tested here.
func (c *cluster) startCertManager() error {
	say("starting cert-manager")
	controller, err := filepath.Abs(c.certManager) // it is started in another folder
	if err != nil {
		return err
	}
	p, err := c.launch("cert-manager", exec.Command(controller, "--kubeconfig="+c.kubeconfig))
	if err != nil {
		return err
	}
	// Its requests are answered when it has got so far; only an end at once is worth telling before.
	return c.waitFor(p, time.Second, nil)
}

// runCommand runs the user's command to its end and returns its exit code.
func (c *cluster) runCommand(command []string) int {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	terminal := holdsTerminal()
	p, err := startProcess(c.guard, cmd, terminal)
	if err != nil {
		say("%v", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return 127
		}
		return 126
	}
	// Whatever the command leaves in the background goes with it.
	defer p.stop(2 * time.Second)
	if terminal {
		defer takeTerminal()
	}

	died := make(chan *process, len(c.components))
	tell := func(component *process) {
		<-component.done
		died <- component
	}
	for _, component := range c.components {
		go tell(component)
	}
	for {
		select {
		case <-p.done:
			return p.exitCode()
		case s := <-c.signals:
			p.signal(s.(syscall.Signal))
		case component := <-died:
			again, err := c.startAgain(component)
			if err != nil {
				say("%v", err)
				return 1
			}
			go tell(again)
		}
	}
}

// startAgain starts a component that has ended as it was started before, where that is asked for: on the same port, with the
// same data, and with what it says at the end of the same log. One that does not live for a second will not do so next time.
func (c *cluster) startAgain(ended *process) (*process, error) {
	if !c.restart || time.Since(ended.began) < time.Second {
		return nil, ended.failure("ended while the command was running")
	}
	ended.stop(0) // what it has left behind
	cmd := exec.Command(ended.cmd.Path, ended.cmd.Args[1:]...)
	p, err := c.run(ended.name, cmd, os.O_APPEND)
	if err != nil {
		return nil, err
	}
	c.components[slices.Index(c.components, ended)] = p
	say("%s ended and was started again", p.name)
	return p, nil
}

// stop ends everything in reverse order and removes the work folder.
func (c *cluster) stop() {
	for i := len(c.components) - 1; i >= 0; i-- {
		// Killed, not asked: nothing that they hold is kept, and an orderly end takes the API server seconds.
		c.components[i].stop(0)
	}
	if c.workdir != "" {
		if os.Getenv("CLUSTER_KEEP") == "1" {
			say("kept %s", c.workdir)
		} else if err := os.RemoveAll(c.workdir); err != nil {
			say("%v", err)
		}
	}
	c.guard.dismiss()
}

// launch starts a component whose output goes to a log file in the work folder.
func (c *cluster) launch(name string, cmd *exec.Cmd) (*process, error) {
	p, err := c.run(name, cmd, os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	c.components = append(c.components, p)
	return p, nil
}

// run starts a component, and writes the number of its process beside its log.
func (c *cluster) run(name string, cmd *exec.Cmd, logMode int) (*process, error) {
	log, err := os.OpenFile(filepath.Join(c.workdir, name+".log"), os.O_CREATE|os.O_WRONLY|logMode, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own copy
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = c.workdir // etcd and the API server leave files where they are
	p, err := startProcess(c.guard, cmd, false)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.name, p.log = name, log.Name()
	// Written aside and renamed: whoever reads it never finds half a number.
	file := filepath.Join(c.workdir, name+".pid")
	if err := os.WriteFile(file+".new", []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return nil, err
	}
	return p, os.Rename(file+".new", file)
}

// waitFor returns when probe says yes. An end of the component, a signal, or no yes in time is an error. Without a
// probe, being alive until the limit is enough.
func (c *cluster) waitFor(p *process, limit time.Duration, probe func() bool) error {
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return p.failure("ended while starting")
		case s := <-c.signals:
			return interrupted{s.(syscall.Signal)}
		case <-deadline:
			if probe == nil {
				return nil
			}
			return p.failure(fmt.Sprintf("was not ready within %s", limit))
		case <-tick.C:
			if probe != nil && probe() {
				return nil
			}
		}
	}
}

// kubectl runs one kubectl command as admin; its output is shown only when it fails.
func (c *cluster) kubectl(args ...string) error {
	var output strings.Builder
	cmd := exec.Command(filepath.Join(c.bin, "kubectl"), args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	p, err := startProcess(c.guard, cmd, false)
	if err != nil {
		return fmt.Errorf("starting kubectl: %w", err)
	}
	defer p.stop(0)
	select {
	case <-p.done:
	case s := <-c.signals:
		return interrupted{s.(syscall.Signal)}
	}
	if p.exitCode() != 0 {
		return fmt.Errorf("kubectl %s failed:\n%s", strings.Join(args, " "), output.String())
	}
	return nil
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...)
}
