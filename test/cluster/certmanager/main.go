// Command controller runs cert-manager's own controllers for Certificates, and the one that approves
// CertificateRequests: what leads from a Certificate to an approved request, and from a signed one to the Secret.
// cert-manager's issuers, ACME and webhook are not in it. It listens on no port.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util/feature"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

// Importing a controller's package registers it under its name.
var names = []string{
	trigger.ControllerName,
	keymanager.ControllerName,
	requestmanager.ControllerName,
	readiness.ControllerName,
	issuing.ControllerName,
	revisionmanager.ControllerName,
	approver.ControllerName,
}

// Workers for each controller, and how long a Certificate waits after a failed request: cert-manager's defaults.
const (
	workers    = 5
	minBackoff = time.Hour
	maxBackoff = 32 * time.Hour
)

// Which of a Certificate's annotations its requests get: cert-manager's default.
var annotations = []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}

func main() {
	klog.InitFlags(nil)
	flag.Set("v", "2") // what cert-manager logs by default
	kubeconfig := flag.String("kubeconfig", "", "the kubeconfig file of the cluster")
	flag.Parse()
	if *kubeconfig == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: controller --kubeconfig=FILE")
		os.Exit(2)
	}
	logs.InitLogs()
	defer logs.FlushLogs()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		logs.FlushLogs()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run returns after ctx has ended and every controller with it, or when one of them fails.
func run(ctx context.Context, kubeconfig string) error {
	// On by default in this version; the tests need them in any.
	if err := feature.DefaultMutableFeatureGate.SetFromMap(map[string]bool{
		"LiteralCertificateSubject": true,
		"NameConstraints":           true,
		"OtherNames":                true,
	}); err != nil {
		return fmt.Errorf("setting feature gates: %w", err)
	}

	running, ctx := errgroup.WithContext(ctx)
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig: kubeconfig,
		// High, so that these controllers are not what a test waits for. An API server with priority and fairness,
		// which is on by default, makes cert-manager drop the limit altogether.
		KubernetesAPIQPS:   1000,
		KubernetesAPIBurst: 1000,
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes:                 annotations,
			CertificateRequestMinimumBackoffDuration: minBackoff,
			CertificateRequestMaximumBackoffDuration: maxBackoff,
		},
	})
	if err != nil {
		return err
	}
	// The informers are shared by all controllers, and start once every controller has asked for its own.
	shared, err := factory.Build()
	if err != nil {
		return err
	}

	controllers := map[string]controller.Interface{}
	for _, name := range names {
		construct, known := controller.Known()[name]
		if !known {
			return fmt.Errorf("cert-manager has no controller %s", name)
		}
		if controllers[name], err = construct(factory); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())

	for name, c := range controllers {
		running.Go(func() error {
			if err := c.Run(workers, ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	return running.Wait()
}
