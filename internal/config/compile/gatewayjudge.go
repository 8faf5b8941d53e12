package compile

import (
	"fmt"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// judgeGateway finds the semantic errors of a Gateway: what the CRD's
// validation rules would refuse in a cluster.
func judgeGateway(spec gwv1.GatewaySpec) []fault {
	var faults []fault
	if len(spec.Listeners) == 0 {
		faults = append(faults, fault{
			field: "spec.listeners", code: "NoListeners",
			message: "a Gateway needs at least one listener",
			remedy:  "for example: {name: http, port: 8080, protocol: HTTP}",
		})
	}
	faults = append(faults, judgeListeners(spec.Listeners)...)
	if spec.TLS != nil && spec.TLS.Frontend != nil {
		ports := map[gwv1.PortNumber]bool{}
		for i, p := range spec.TLS.Frontend.PerPort {
			if ports[p.Port] {
				faults = append(faults, fault{
					field: fmt.Sprintf("spec.tls.frontend.perPort[%d].port", i), code: "DuplicatePort",
					message: fmt.Sprintf("port %d is named twice", p.Port),
				})
			}
			ports[p.Port] = true
		}
	}
	return faults
}

func judgeListeners(list []gwv1.Listener) []fault {
	var faults []fault
	names := map[gwv1.SectionName]bool{}
	for i, l := range list {
		at := func(field, code, message, remedy string) {
			faults = append(faults, fault{
				field: fmt.Sprintf("spec.listeners[%d]%s", i, field), code: code,
				message: message, remedy: remedy,
			})
		}
		switch {
		case l.Name == "":
			at(".name", "NameMissing", "a listener needs a name", "")
		case names[l.Name]:
			at(".name", "DuplicateName", fmt.Sprintf("another listener is named %q", l.Name), "give each its own name")
		}
		names[l.Name] = true
		if l.Port < 1 || l.Port > 65535 {
			at(".port", "InvalidPort", fmt.Sprintf("port %d is not between 1 and 65535", l.Port), "")
		}
		if l.Hostname != nil && *l.Hostname != "" {
			if why := checkHostname(string(*l.Hostname), true); why != "" {
				at(".hostname", "InvalidHostname", fmt.Sprintf("hostname %q %s", *l.Hostname, why), "")
			}
		}
		judgeListenerTLS(l, at)
		if a := l.AllowedRoutes; a != nil && a.Namespaces != nil {
			if _, err := selectNamespaces(a.Namespaces.From, gwv1.NamespacesFromSame, a.Namespaces.Selector, ""); err != nil {
				at(".allowedRoutes.namespaces.selector", "InvalidSelector", err.Error(), "")
			}
		}
	}
	return faults
}

func judgeListenerTLS(l gwv1.Listener, at func(field, code, message, remedy string)) {
	switch l.Protocol {
	case gwv1.HTTPProtocolType, gwv1.TCPProtocolType, gwv1.UDPProtocolType:
		if l.TLS != nil {
			at(".tls", "UnexpectedTLS", fmt.Sprintf("tls must not be set with protocol %s", l.Protocol),
				"use protocol HTTPS or TLS, or remove tls")
		}
		if l.Protocol != gwv1.HTTPProtocolType && deref(l.Hostname, "") != "" {
			at(".hostname", "UnexpectedHostname", fmt.Sprintf("hostname must not be set with protocol %s", l.Protocol), "remove it")
		}
	case gwv1.TLSProtocolType:
		switch {
		case l.TLS == nil:
			at(".tls", "TLSMissing", "protocol TLS needs tls", "set tls.mode to Passthrough, or to Terminate with certificateRefs")
		case deref(l.TLS.Mode, gwv1.TLSModeTerminate) == gwv1.TLSModeTerminate && len(l.TLS.CertificateRefs) == 0 && len(l.TLS.Options) == 0:
			at(".tls.certificateRefs", "CertificateMissing", "mode Terminate needs at least one certificateRef",
				"name a Secret of type kubernetes.io/tls, or set tls.mode to Passthrough")
		}
	case gwv1.HTTPSProtocolType:
		switch {
		case l.TLS == nil:
			at(".tls", "TLSMissing", "protocol HTTPS needs tls with certificateRefs", "")
		case deref(l.TLS.Mode, gwv1.TLSModeTerminate) != gwv1.TLSModeTerminate:
			at(".tls.mode", "InvalidTLSMode", "protocol HTTPS terminates TLS: mode must be Terminate", "")
		case len(l.TLS.CertificateRefs) == 0 && len(l.TLS.Options) == 0:
			at(".tls.certificateRefs", "CertificateMissing", "mode Terminate needs at least one certificateRef",
				"name a Secret of type kubernetes.io/tls")
		}
	}
}

// faulty tells whether a fault lies in a field or below it.
func faulty(faults []fault, field string) bool { return firstFault(faults, field) != "" }

func firstFault(faults []fault, field string) string {
	for _, f := range faults {
		if rest, ok := strings.CutPrefix(f.field, field); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return f.message
		}
	}
	return ""
}
