//go:build linux

package conformance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// workloads runs the pods of Deployments as processes of the suite's echo server.
type workloads struct {
	t    *testing.T
	echo string // the program
	// started Deployments, by namespace and name.
	started map[client.ObjectKey]bool
	mu      sync.Mutex
	pods    map[client.ObjectKey]*pod
}

type pod struct {
	key    client.ObjectKey
	labels map[string]string
	// ports that stand for those of the manifests: all pods share one network.
	ports map[int32]int32

	mu   sync.Mutex
	logs []logLine
}

type logLine struct {
	at   time.Time
	text string
}

func newWorkloads(t *testing.T) *workloads {
	t.Helper()
	w := &workloads{t: t, echo: filepath.Join(t.TempDir(), "echo"), started: map[client.ObjectKey]bool{}, pods: map[client.ObjectKey]*pod{}}
	build(t, ".", w.echo, "sigs.k8s.io/gateway-api/conformance/echo-basic")
	return w
}

func build(t *testing.T, in, to, pkg string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", to, pkg)
	cmd.Dir = in
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// reconcile starts the pods of new Deployments, once their Secrets are there.
func (w *workloads) reconcile(ctx context.Context, c client.Client) error {
	var list appsv1.DeploymentList
	if err := c.List(ctx, &list); err != nil {
		return err
	}
	for i := range list.Items {
		d := &list.Items[i]
		key := client.ObjectKeyFromObject(d)
		if w.started[key] {
			continue
		}
		dir, ready, err := w.volume(ctx, c, d)
		if err != nil {
			return err
		}
		if !ready {
			continue
		}
		w.started[key] = true
		replicas := int32(1)
		if d.Spec.Replicas != nil {
			replicas = *d.Spec.Replicas
		}
		if d.Name == "coredns" {
			if err := w.startDNS(ctx, c, d); err != nil {
				return err
			}
			continue
		}
		for n := range replicas {
			if err := w.startPod(ctx, c, d, int(n), dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// volume writes the Secrets and ConfigMaps that the Deployment mounts.
func (w *workloads) volume(ctx context.Context, c client.Client, d *appsv1.Deployment) (dir string, ready bool, err error) {
	dir = w.t.TempDir()
	for _, v := range d.Spec.Template.Spec.Volumes {
		files := map[string][]byte{}
		switch {
		case v.Secret != nil:
			var secret corev1.Secret
			if err := c.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: v.Secret.SecretName}, &secret); err != nil {
				return "", false, client.IgnoreNotFound(err)
			}
			for _, item := range v.Secret.Items {
				files[item.Path] = secret.Data[item.Key]
			}
		case v.ConfigMap != nil:
			var cm corev1.ConfigMap
			if err := c.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: v.ConfigMap.Name}, &cm); err != nil {
				return "", false, client.IgnoreNotFound(err)
			}
			for _, item := range v.ConfigMap.Items {
				files[item.Path] = []byte(cm.Data[item.Key])
			}
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, v.Name+"-"+name), data, 0o600); err != nil {
				return "", false, err
			}
		}
	}
	return dir, true, nil
}

func (w *workloads) startPod(ctx context.Context, c client.Client, d *appsv1.Deployment, n int, dir string) error {
	p := &pod{
		key:    client.ObjectKey{Namespace: d.Namespace, Name: fmt.Sprintf("%s-0-%d", d.Name, n)},
		labels: d.Spec.Template.Labels, ports: map[int32]int32{},
	}
	cmd := exec.Command(w.echo)
	cmd.Env = append(os.Environ(), "POD_NAME="+p.key.Name, "NAMESPACE="+p.key.Namespace)
	// Programs that serve TCP or UDP read other variables than those of HTTP.
	for port, names := range map[int32][]string{
		3000: {"HTTP_PORT", "TCP_PORT"}, 3001: {"H2C_PORT"}, 8443: {"HTTPS_PORT", "TLS_PORT"}, 8080: {"UDP_PORT"},
	} {
		free, err := freePort(ctx)
		if err != nil {
			return err
		}
		p.ports[port] = free
		for _, name := range names {
			cmd.Env = append(cmd.Env, name+"="+strconv.Itoa(int(free)))
		}
	}
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		if e.Value == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(e.Value, "/etc/"); ok { // /etc/VOLUME/FILE
			e.Value = filepath.Join(dir, strings.ReplaceAll(rest, "/", "-"))
		}
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	read := make(chan struct{})
	go func() {
		p.keepLogs(out)
		close(read)
	}()
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait() // killed
	})
	w.mu.Lock()
	w.pods[p.key] = p
	w.mu.Unlock()
	return c.Create(ctx, p.object())
}

func freePort(ctx context.Context) (int32, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", ":0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return int32(l.Addr().(*net.TCPAddr).Port), nil
}

func (p *pod) object() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.key.Namespace, Name: p.key.Name, Labels: p.labels},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			PodIPs:     []corev1.PodIP{{IP: "127.0.0.1"}},
		},
	}
}

func (p *pod) keepLogs(r io.Reader) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		p.mu.Lock()
		p.logs = append(p.logs, logLine{time.Now(), s.Text()})
		p.mu.Unlock()
	}
}

// objects are what the gateway shall know of workloads: Services, the slices
// of their pods, and the Secrets, ConfigMaps and Namespaces.
func (w *workloads) objects(ctx context.Context, c client.Client) ([]client.Object, error) {
	var out []client.Object
	for _, list := range []client.ObjectList{&corev1.ServiceList{}, &corev1.SecretList{}, &corev1.ConfigMapList{}, &corev1.NamespaceList{}} {
		if err := c.List(ctx, list); err != nil {
			return nil, err
		}
		out = append(out, items(list)...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, obj := range out {
		s, ok := obj.(*corev1.Service)
		if !ok || len(s.Spec.Selector) == 0 {
			continue
		}
		for _, p := range w.pods {
			if p.key.Namespace == s.Namespace && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.labels)) {
				out = append(out, p.slice(s))
			}
		}
	}
	var slices discoveryv1.EndpointSliceList
	if err := c.List(ctx, &slices); err != nil {
		return nil, err
	}
	for i := range slices.Items {
		out = append(out, w.ported(&slices.Items[i])...)
	}
	return out, nil
}

// slice is the EndpointSlice of a pod: one for each, as each has its own ports.
func (p *pod) slice(s *corev1.Service) *discoveryv1.EndpointSlice {
	out := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: s.Name + "-" + p.key.Name,
			Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"127.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
	}
	for _, port := range s.Spec.Ports {
		if free, ok := p.ports[port.TargetPort.IntVal]; ok {
			out.Ports = append(out.Ports, discoveryv1.EndpointPort{Name: &port.Name, Port: &free, Protocol: &port.Protocol})
		}
	}
	return out
}

// ported gives a slice that a test wrote by hand the ports of its pods.
func (w *workloads) ported(s *discoveryv1.EndpointSlice) []client.Object {
	var out []client.Object
	for i, e := range s.Endpoints {
		if e.TargetRef == nil {
			continue
		}
		p := w.pods[client.ObjectKey{Namespace: e.TargetRef.Namespace, Name: e.TargetRef.Name}]
		if p == nil {
			continue
		}
		one := s.DeepCopy()
		one.Name = fmt.Sprintf("%s-%d", s.Name, i)
		one.Endpoints = one.Endpoints[i : i+1]
		for j := range one.Ports {
			one.Ports[j].Port = new(p.ports[*one.Ports[j].Port])
		}
		out = append(out, one)
	}
	if out == nil {
		out = append(out, s)
	}
	return out
}

// clientset is for the logs of pods alone.
func (w *workloads) clientset() kubernetes.Interface {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}/log", func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		p := w.pods[client.ObjectKey{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}]
		w.mu.Unlock()
		since, err := time.Parse(time.RFC3339, r.FormValue("sinceTime"))
		if p == nil || err != nil {
			http.Error(rw, fmt.Sprintf("no such pod, or no such time: %v", err), http.StatusNotFound)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range p.logs {
			if !l.at.Before(since) {
				fmt.Fprintln(rw, l.text)
			}
		}
	})
	srv := httptest.NewServer(mux)
	w.t.Cleanup(srv.Close)
	return kubernetes.NewForConfigOrDie(&rest.Config{Host: srv.URL, QPS: -1})
}
