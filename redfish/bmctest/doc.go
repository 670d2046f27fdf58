// Package bmctest is a BMC for tests and the demo: a Redfish service with state,
// in front of a [Machine] that really boots or of a [Paper] host that only
// speaks like one. It behaves as one of its [Personality] tables says, which
// hold what real products do beside the standard, and it fails on demand.
//
// It knows no client and shares no table with one: what a personality refuses,
// it refuses to everybody. It never makes a wrong call right, repeats nothing
// for a client and believes a boot only when the machine asks for it. It is no
// model of a product's whole tree; what a provisioner does not read is absent.
//
// Start at [Start], then [Emulator.Fail]; the rules are in personalities/*.yaml
// and their meaning at [Personality].
package bmctest
