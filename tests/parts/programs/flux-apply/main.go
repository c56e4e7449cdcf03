// Command flux-apply applies the manifests on its standard input as Flux's kustomize-controller does. One of them is
// the Kustomization; it isn't applied, and its spec says what is ignored. The cluster is that of KUBECONFIG.
//
// It prints a line per object, such as `Service/test/podinfo skipped`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/jsondiff"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/fluxcd/pkg/ssa/utils"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The name of the controller: the field manager of what it applies.
const manager = "kustomize-controller"

var group = kustomizev1.GroupVersion.Group

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer) error {
	all, err := utils.ReadObjects(in)
	if err != nil {
		return err
	}
	kustomization, objects, err := split(all)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	kube, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	resources := ssa.NewResourceManager(kube, nil, ssa.Owner{Field: manager, Group: group})
	resources.SetOwnerLabels(objects, kustomization.Name, kustomization.Namespace)
	if err := normalize.UnstructuredList(objects); err != nil {
		return err
	}
	changes, err := resources.ApplyAllStaged(ctx, objects, options(kustomization))
	if err != nil {
		return err
	}
	for _, change := range changes.Entries {
		fmt.Fprintln(out, change.String())
	}
	return nil
}

// split finds the Kustomization among the manifests. A field that it doesn't have is an error.
func split(all []*unstructured.Unstructured) (*kustomizev1.Kustomization, []*unstructured.Unstructured, error) {
	var found *kustomizev1.Kustomization
	var others []*unstructured.Unstructured
	for _, one := range all {
		if one.GroupVersionKind() != kustomizev1.GroupVersion.WithKind(kustomizev1.KustomizationKind) {
			others = append(others, one)
			continue
		}
		found = &kustomizev1.Kustomization{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(one.Object, found, true); err != nil {
			return nil, nil, err
		}
	}
	if found == nil {
		return nil, nil, errors.New("no Kustomization among the manifests")
	}
	return found, others, nil
}

// options are those of KustomizationReconciler.apply, with the controller's own flags at their defaults.
func options(kustomization *kustomizev1.Kustomization) ssa.ApplyOptions {
	made := ssa.DefaultApplyOptions()
	made.Force = kustomization.Spec.Force
	made.ExclusionSelector = map[string]string{
		group + "/reconcile": kustomizev1.DisabledValue,
		group + "/ssa":       kustomizev1.IgnoreValue,
	}
	made.IfNotPresentSelector = map[string]string{group + "/ssa": kustomizev1.IfNotPresentValue}
	made.ForceSelector = map[string]string{group + "/force": kustomizev1.EnabledValue}
	for _, rule := range kustomization.Spec.Ignore {
		ignored := jsondiff.IgnoreRule{Paths: rule.Paths}
		if target := rule.Target; target != nil {
			ignored.Selector = &jsondiff.Selector{
				Group:              target.Group,
				Version:            target.Version,
				Kind:               target.Kind,
				Name:               target.Name,
				Namespace:          target.Namespace,
				AnnotationSelector: target.AnnotationSelector,
				LabelSelector:      target.LabelSelector,
			}
		}
		made.DriftIgnoreRules = append(made.DriftIgnoreRules, ignored)
	}
	made.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{
			corev1.LastAppliedConfigAnnotation, group + "/checksum", "fluxcd.io/sync-checksum",
		},
		Labels: []string{"fluxcd.io/sync-gc-mark"},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: manager, OperationType: metav1.ManagedFieldsOperationUpdate},
		},
		Exclusions: map[string]string{group + "/ssa": kustomizev1.MergeValue},
	}
	return made
}
