// Command peer is what the benchmark compares with: an issuer as people write it in Go, on cert-manager's issuer-lib, with
// kinds of its own and a CA in memory. It reads KUBECONFIG, logs on stderr, and listens on no port.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/issuer-lib/api/v1alpha1"
	"github.com/cert-manager/issuer-lib/controllers"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const name = "peer.bench.wasm-issuer.dev"

func main() {
	workers := flag.Int("workers", 1, "how many requests are signed at a time (1 is what issuer-lib does)")
	flag.Parse() // also --kubeconfig, which controller-runtime has
	ctrl.SetLogger(zap.New())
	if err := run(ctrl.SetupSignalHandler(), *workers); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, workers int) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.QPS = -1 // the library is measured, not the client's throttle
	scheme := runtime.NewScheme()
	if err := cmapi.AddToScheme(scheme); err != nil {
		return err
	}
	addToScheme(scheme)
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		return err
	}
	ca, err := newCA()
	if err != nil {
		return err
	}
	err = (&controllers.CombinedController{
		IssuerTypes:        []v1alpha1.Issuer{&PeerIssuer{}},
		ClusterIssuerTypes: []v1alpha1.Issuer{&PeerClusterIssuer{}},
		FieldOwner:         name,
		MaxRetryDuration:   time.Minute,
		Check:              ca.check,
		Sign:               ca.sign,
		EventRecorder:      manager.GetEventRecorder(name),
		// Ours does not sign them either.
		DisableKubernetesCSRController: true,
		PreSetupWithManager: func(_ context.Context, _ schema.GroupVersionKind, _ ctrl.Manager, b *builder.Builder) error {
			b.WithOptions(controller.Options{MaxConcurrentReconciles: workers})
			return nil
		},
	}).SetupWithManager(ctx, manager)
	if err != nil {
		return err
	}
	return manager.Start(ctx)
}
