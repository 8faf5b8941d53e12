//go:build linux

package conformance

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	suitefiles "sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/config"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// supported lists every feature that Gridway has, of the profiles GATEWAY-HTTP,
// GATEWAY-GRPC, GATEWAY-TLS, GATEWAY-TCP and GATEWAY-UDP. What is missing is listed in docs/guides/configuration.md.
var supported = []features.FeatureName{
	features.SupportGateway,
	features.SupportReferenceGrant,
	features.SupportHTTPRoute,
	features.SupportGRPCRoute,
	features.SupportTCPRoute,
	features.SupportTLSRoute,
	features.SupportTLSRouteModeTerminate,
	features.SupportTLSRouteModeMixed,
	features.SupportUDPRoute,

	features.SupportGatewayPort8080,
	features.SupportGatewayStaticAddresses,
	features.SupportGatewayHTTPListenerIsolation,
	features.SupportGatewayAddressEmpty,
	features.SupportListenerSet,
	features.SupportGatewayBackendClientCertificate,
	features.SupportGatewayFrontendClientCertificateValidation,
	features.SupportGatewayFrontendClientCertificateValidationInsecureFallback,

	features.SupportHTTPRouteDestinationPortMatching,
	features.SupportHTTPRouteBackendRequestHeaderModification,
	features.SupportHTTPRouteQueryParamMatching,
	features.SupportHTTPRouteMethodMatching,
	features.SupportHTTPRouteResponseHeaderModification,
	features.SupportHTTPRoutePortRedirect,
	features.SupportHTTPRouteSchemeRedirect,
	features.SupportHTTPRoutePathRedirect,
	features.SupportHTTPRouteHostRewrite,
	features.SupportHTTPRoutePathRewrite,
	features.SupportHTTPRouteRequestMirror,
	features.SupportHTTPRouteRequestMultipleMirrors,
	features.SupportHTTPRouteRequestPercentageMirror,
	features.SupportHTTPRouteRequestTimeout,
	features.SupportHTTPRouteBackendTimeout,
	features.SupportHTTPRouteParentRefPort,
	features.SupportHTTPRouteBackendProtocolWebSocket,
	features.SupportHTTPRouteBackendProtocolH2C,
	features.SupportHTTPRouteNamedRouteRule,
	features.SupportHTTPRouteCORS,
	features.SupportHTTPRoute303RedirectStatusCode,
	features.SupportHTTPRoute307RedirectStatusCode,
	features.SupportHTTPRoute308RedirectStatusCode,
	features.SupportHTTPRouteRetry,
	features.SupportHTTPRouteRetryBackendTimeout,
	features.SupportHTTPRouteRetryConnectionError,

	features.SupportGRPCRouteNamedRouteRule,

	features.SupportBackendTLSPolicy,
	features.SupportBackendTLSPolicySANValidation,
}

func TestMain(m *testing.M) {
	if code, done := inNetworkOfItsOwn(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	c := newCluster(t)
	s, err := suite.NewConformanceTestSuite(suite.ConformanceOptions{
		Client:     c.client,
		Clientset:  c.clientset,
		ManifestFS: []fs.FS{suitefiles.Manifests},
		ConfigurableOptions: suite.ConfigurableOptions{
			GatewayClassName:     "gridway",
			SupportedFeatures:    supported,
			CleanupTestResources: true,
			AllowCRDsMismatch:    true, // there are no CRDs
			DisableParallelTests: true,
			TimeoutConfig:        timeouts(),
			UsableNetworkAddresses: []gwv1.GatewaySpecAddress{
				{Type: new(gwv1.IPAddressType), Value: "127.9.9.9"},
			},
			UnusableNetworkAddresses: []gwv1.GatewaySpecAddress{
				{Type: new(gwv1.IPAddressType), Value: "192.0.2.1"}, // RFC 5737: nobody's
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(tests.ConformanceTests)
	slices.SortFunc(all, func(a, b suite.ConformanceTest) int { return strings.Compare(a.ShortName, b.ShortName) })
	s.Setup(t, all)
	for _, test := range all {
		t.Run(test.ShortName, func(t *testing.T) { test.Run(t, s) })
	}
}

// timeouts are shorter than the suite's own: there are no machines to start.
func timeouts() config.TimeoutConfig {
	c := config.DefaultTimeoutConfig()
	for _, d := range []*time.Duration{
		&c.GatewayMustHaveAddress, &c.GatewayMustHaveCondition, &c.GatewayStatusMustHaveListeners,
		&c.GatewayListenersMustHaveConditions, &c.ListenerSetMustHaveCondition, &c.ListenerSetListenersMustHaveConditions,
		&c.GWCMustBeAccepted, &c.HTTPRouteMustNotHaveParents, &c.HTTPRouteMustHaveCondition, &c.RouteMustHaveParents,
		&c.TLSRouteMustHaveCondition, &c.TCPRouteMustHaveCondition, &c.UDPRouteMustHaveCondition,
		&c.NamespacesMustBeReady, &c.LatestObservedGenerationSet, &c.MaxTimeToConsistency, &c.DefaultTestTimeout,
	} {
		*d = min(*d, 15*time.Second)
	}
	c.DefaultPollInterval = 20 * time.Millisecond
	return c
}
