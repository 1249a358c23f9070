package main

import (
	"github.com/cert-manager/issuer-lib/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var version = schema.GroupVersion{Group: "bench.wasm-issuer.dev", Version: "v1alpha1"}

// PeerIssuer signs for its namespace. It has no spec: there is one CA, in memory.
type PeerIssuer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Status            v1alpha1.IssuerStatus `json:"status,omitempty"`
}

// PeerClusterIssuer signs for all namespaces.
type PeerClusterIssuer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Status            v1alpha1.IssuerStatus `json:"status,omitempty"`
}

type PeerIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PeerIssuer `json:"items"`
}

type PeerClusterIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PeerClusterIssuer `json:"items"`
}

func addToScheme(scheme *runtime.Scheme) {
	scheme.AddKnownTypes(version, &PeerIssuer{}, &PeerIssuerList{}, &PeerClusterIssuer{}, &PeerClusterIssuerList{})
	metav1.AddToGroupVersion(scheme, version)
}

func (i *PeerIssuer) GetConditions() []metav1.Condition        { return i.Status.Conditions }
func (i *PeerClusterIssuer) GetConditions() []metav1.Condition { return i.Status.Conditions }

func (*PeerIssuer) GetIssuerTypeIdentifier() string { return "peerissuers." + version.Group }
func (*PeerClusterIssuer) GetIssuerTypeIdentifier() string {
	return "peerclusterissuers." + version.Group
}

// What controller-gen writes for those who have it.

func (i *PeerIssuer) DeepCopyObject() runtime.Object {
	out := &PeerIssuer{TypeMeta: i.TypeMeta}
	i.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	i.Status.DeepCopyInto(&out.Status)
	return out
}

func (i *PeerClusterIssuer) DeepCopyObject() runtime.Object {
	out := &PeerClusterIssuer{TypeMeta: i.TypeMeta}
	i.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	i.Status.DeepCopyInto(&out.Status)
	return out
}

func (l *PeerIssuerList) DeepCopyObject() runtime.Object {
	out := &PeerIssuerList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*PeerIssuer))
	}
	return out
}

func (l *PeerClusterIssuerList) DeepCopyObject() runtime.Object {
	out := &PeerClusterIssuerList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*PeerClusterIssuer))
	}
	return out
}
