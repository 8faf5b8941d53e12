//go:build linux

package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// cluster is an API server in memory with a gateway behind it.
type cluster struct {
	t         *testing.T
	client    client.Client
	clientset kubernetes.Interface
	scheme    *runtime.Scheme
	gateway   *gateway
	workloads *workloads

	mu    sync.Mutex
	store client.WithWatch // without the interceptor
	// files holds what was written for each object, by file name.
	files map[string]string
	// addresses that Gateways were given, by namespace and name.
	addresses map[types.NamespacedName]string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, gwv1.Install, apiextensionsv1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{
		t: t, scheme: s, files: map[string]string{}, addresses: map[types.NamespacedName]string{},
		store: fake.NewClientBuilder().WithScheme(s).Build(),
	}
	c.workloads = newWorkloads(t)
	c.clientset = c.workloads.clientset()
	c.client = interceptor.NewClient(c.store, interceptor.Funcs{
		Get: c.get, List: c.list, Create: c.create, Update: c.update, Patch: c.patch, Delete: c.delete,
	})
	dir := t.TempDir()
	class := &gwv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: "gridway"},
		Spec:       gwv1.GatewayClassSpec{ControllerName: "gridway.dev/controller"},
	}
	c.gateway = &gateway{t: t, dir: dir}
	if err := c.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	c.gateway.start()
	return c
}

func (c *cluster) get(ctx context.Context, store client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := store.Get(ctx, key, obj, opts...); err != nil {
		return err
	}
	return c.withStatus(obj)
}

func (c *cluster) list(ctx context.Context, store client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	if err := store.List(ctx, list, opts...); err != nil {
		return err
	}
	if gateways, ok := list.(*gwv1.GatewayList); ok {
		for i := range gateways.Items {
			if err := c.withStatus(&gateways.Items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cluster) create(ctx context.Context, store client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
	obj.SetGeneration(1)
	obj.SetUID(uuid.NewUUID())
	obj.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	if err := store.Create(ctx, obj, opts...); err != nil {
		return err
	}
	return c.changed(ctx)
}

func (c *cluster) update(ctx context.Context, store client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
	before, err := c.stored(ctx, obj)
	if err != nil {
		return err
	}
	obj.SetCreationTimestamp(metav1.NewTime(before.GetCreationTimestamp().Time))
	obj.SetUID(before.GetUID())
	obj.SetGeneration(before.GetGeneration())
	after, err := c.plain(obj)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) {
		obj.SetGeneration(before.GetGeneration() + 1)
	}
	if err := store.Update(ctx, obj, opts...); err != nil {
		return err
	}
	return c.changed(ctx)
}

func (c *cluster) patch(ctx context.Context, store client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	before, err := c.stored(ctx, obj)
	if err != nil {
		return err
	}
	if err := store.Patch(ctx, obj, patch, opts...); err != nil {
		return err
	}
	after, err := c.plain(obj)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) {
		obj.SetGeneration(before.GetGeneration() + 1)
		if err := store.Update(ctx, obj); err != nil {
			return err
		}
	}
	return c.changed(ctx)
}

func (c *cluster) delete(ctx context.Context, store client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
	if err := store.Delete(ctx, obj, opts...); err != nil {
		return err
	}
	return c.changed(ctx)
}

func (c *cluster) stored(ctx context.Context, obj client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, c.scheme)
	if err != nil {
		return nil, err
	}
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(gvk)
	return out, c.store.Get(ctx, client.ObjectKeyFromObject(obj), out)
}

// plain is the object as JSON data.
func (c *cluster) plain(obj client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, c.scheme)
	if err != nil {
		return nil, err
	}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: m}
	u.SetGroupVersionKind(gvk)
	return u, nil
}

// written are the kinds that Gridway reads.
var written = []client.ObjectList{
	&gwv1.GatewayClassList{}, &gwv1.GatewayList{}, &gwv1.ListenerSetList{}, &gwv1.HTTPRouteList{}, &gwv1.GRPCRouteList{},
	&gwv1.TCPRouteList{}, &gwv1.TLSRouteList{}, &gwv1.UDPRouteList{},
	&gwv1.ReferenceGrantList{}, &gwv1.BackendTLSPolicyList{},
}

// changed does what controllers and kubelets would: starts workloads, and
// brings the gateway's files up to date.
func (c *cluster) changed(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.workloads.reconcile(ctx, c.store); err != nil {
		return err
	}
	objects, err := c.workloads.objects(ctx, c.store)
	if err != nil {
		return err
	}
	for _, list := range written {
		list = list.DeepCopyObject().(client.ObjectList)
		if err := c.store.List(ctx, list); err != nil {
			return err
		}
		objects = append(objects, items(list)...)
	}
	files := map[string]string{}
	for _, obj := range objects {
		name, text, err := c.document(obj)
		if err != nil {
			return err
		}
		files[name] = text
	}
	for name, text := range files {
		if c.files[name] == text {
			continue
		}
		path := filepath.Join(c.gateway.dir, name)
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	for name := range c.files {
		if _, there := files[name]; !there {
			if err := os.Remove(filepath.Join(c.gateway.dir, name)); err != nil {
				return err
			}
		}
	}
	c.files = files
	return nil
}

// document is the object as the gateway shall read it.
func (c *cluster) document(obj client.Object) (name, text string, err error) {
	u, err := c.plain(obj)
	if err != nil {
		return "", "", err
	}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	if u.GetKind() == "Gateway" {
		if err := c.assignAddress(u); err != nil {
			return "", "", err
		}
	}
	b, err := json.MarshalIndent(u.Object, "", "  ")
	if err != nil {
		return "", "", err
	}
	return strings.ToLower(fmt.Sprintf("%s.%s.%s.json", u.GetKind(), u.GetNamespace(), u.GetName())), string(b) + "\n", nil
}

// assignAddress gives a Gateway that leaves its address to the implementation
// one of its own, as a cluster's load balancers would.
func (c *cluster) assignAddress(u *unstructured.Unstructured) error {
	list, _, err := unstructured.NestedSlice(u.Object, "spec", "addresses")
	if err != nil {
		return err
	}
	key := types.NamespacedName{Namespace: u.GetNamespace(), Name: u.GetName()}
	own := c.addresses[key]
	if own == "" {
		own = fmt.Sprintf("127.9.0.%d", len(c.addresses)+1)
		c.addresses[key] = own
	}
	if len(list) == 0 {
		list = append(list, map[string]any{"type": "IPAddress"})
	}
	for _, a := range list {
		if m, ok := a.(map[string]any); ok && m["value"] == nil {
			m["value"] = own
		}
	}
	return unstructured.SetNestedSlice(u.Object, list, "spec", "addresses")
}

func items(list client.ObjectList) []client.Object {
	var out []client.Object
	v := reflect.ValueOf(list).Elem().FieldByName("Items")
	for i := range v.Len() {
		out = append(out, v.Index(i).Addr().Interface().(client.Object))
	}
	return out
}
