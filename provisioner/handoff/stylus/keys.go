package stylus

// kind is what a value is.
type kind int

const (
	keyed  kind = iota // a map, of these keys alone where it has some
	text               // in quotes where it could be read as something else
	flag               // true or false
	number             //
	list               // of maps with these keys where it has some
	texts              // a map of names to texts
	free               // anything
)

// node is one place in the user-data.
type node struct {
	kind kind
	keys map[string]node
}

// wants says what is wanted in place of a value of another kind; nothing where
// it fits.
func (k kind) wants(value any) string {
	var fits bool
	var wanted string
	switch k {
	case keyed:
		_, fits = value.(map[string]any)
		wanted = "a map"
	case texts:
		_, fits = value.(map[string]any)
		wanted = "a map of names to texts"
	case list:
		_, fits = value.([]any)
		wanted = "a list"
	case text:
		_, fits = value.(string)
		wanted = "text (a number or a truth value goes in quotes)"
	case flag:
		_, fits = value.(bool)
		wanted = "true or false"
	case number:
		fits = isNumber(value)
		wanted = "a number"
	case free:
		fits = true
	}
	if fits {
		return ""
	}
	return wanted
}

// isNumber tells numbers of YAML and of JSON.
func isNumber(value any) bool {
	switch value.(type) {
	case int, int64, uint64, float64:
		return true
	}
	return false
}

// keys are those below stylus, as the installer reference of Palette's public
// documentation (2026-08) and its examples have them.
func keys() map[string]node {
	return map[string]node{
		"managementMode": {kind: text}, "installationMode": {kind: text}, "featureGate": {kind: text}, "path": {kind: text},
		"disableTui": {kind: flag}, "includeTui": {kind: flag}, "debug": {kind: flag}, "trace": {kind: flag},
		"enableMultiNode": {kind: flag}, "disablePasswordUpdate": {kind: flag}, "imageRedirectWebhook": {kind: free}, "vip": {kind: keyed},
		"localUI": {keys: map[string]node{"port": {kind: number}, "login": {kind: keyed}}},
		"registryCredentials": {keys: map[string]node{
			"domain": {kind: text}, "username": {kind: text}, "password": {kind: text}, "encodedPassword": {kind: text}, "insecure": {kind: flag},
		}},
		"externalRegistries": {keys: map[string]node{
			"registries": {kind: list, keys: map[string]node{
				"domain": {kind: text}, "repositoryName": {kind: text}, "username": {kind: text}, "password": {kind: text},
				"encodedPassword": {kind: text}, "insecure": {kind: flag}, "certificates": {kind: list},
			}},
			"registryMappingRules": {kind: texts},
		}},
		"site": {keys: site()},
	}
}

func site() map[string]node {
	return map[string]node{
		"paletteEndpoint": {kind: text}, "edgeHostToken": {kind: text}, "projectName": {kind: text}, "projectUid": {kind: text},
		"name": {kind: text}, "hostName": {kind: text}, "prefix": {kind: text}, "clusterId": {kind: text}, "clusterName": {kind: text},
		"deviceUIDPaths": {kind: list, keys: map[string]node{"name": {kind: text}, "regex": {kind: text}}},
		"tags":           {kind: texts},
		"tagsFromFile":   {keys: map[string]node{"fileName": {kind: text}, "delimiter": {kind: text}, "separator": {kind: text}}},
		"tagsFromScript": {keys: map[string]node{"scriptName": {kind: text}, "timeout": {kind: number}}},
		"network": {keys: map[string]node{
			"httpProxy": {kind: text}, "httpsProxy": {kind: text}, "noProxy": {kind: text}, "nameserver": {kind: text}, "interfaces": {kind: keyed},
		}},
		"caCerts": {kind: list}, "insecureSkipVerify": {kind: flag}, "ntpServers": {kind: list}, "registrationURL": {kind: text},
		"disableAutoRegister": {kind: flag}, "remoteShell": {kind: keyed}, "users": {kind: list},
	}
}
