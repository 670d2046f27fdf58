package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/muster-boot/muster/provisioner"
)

func (c *checker) webhooks(raw []webhook) []Webhook {
	var hooks []Webhook
	first := map[string]int{}
	for i, w := range raw {
		path := fmt.Sprintf("webhooks[%d]", i)
		if n, twice := first[w.Name]; twice && w.Name != "" {
			c.say(path+".name", "%s is webhooks[%d] already", w.Name, n)
		}
		first[w.Name] = i
		hooks = append(hooks, c.webhook(path, w))
	}
	return hooks
}

func (c *checker) webhook(path string, w webhook) Webhook {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(w.Name) {
		c.say(path+".name", "give the webhook a name of 1 to 63 small letters, digits and hyphens: what it delivered is kept under it")
	}
	if w.SecretFile == "" {
		c.say(path+".secret_file", "name the file with the secret that signs its events; make one with: head -c 32 /dev/urandom | base64 > FILE")
	}
	c.receiver(path+".url", w.URL)
	for _, e := range w.Events {
		if all := events(); !slices.Contains(all, e) {
			c.say(path+".events", "%q is no event: use %s", e, strings.Join(all, ", "))
		}
	}
	return Webhook{
		Name: w.Name, URL: w.URL, Events: slices.Clone(w.Events),
		SecretFile: c.optional(path+".secret_file", w.SecretFile), CAFile: c.optional(path+".ca_file", w.CAFile),
	}
}

// receiver refuses what is not encrypted, and a login that every listing would
// show. Addresses of the site are as good as any: people configured them.
func (c *checker) receiver(path, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		c.say(path, "write the receiver's URL, like https://cmdb.example.com/hooks/muster")
	case u.Scheme != "https":
		c.say(path, "use https: events name hosts, and the signature keeps nothing secret")
	case u.User != nil:
		c.say(path, "leave the login out: the receiver knows muster by the signature")
	case u.Fragment != "":
		c.say(path, "leave out what follows #: it is never sent")
	}
}

// events are the kinds of journal entries, and the phases of which moves to them
// are wanted.
func events() []string {
	all := []string{string(provisioner.EntryMove), string(provisioner.EntryFact), string(provisioner.EntryIntent)}
	for _, p := range provisioner.Phases() {
		all = append(all, string(p))
	}
	return all
}
