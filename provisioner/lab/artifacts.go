package lab

// cache is where `make lab` keeps what it fetches and builds, outside of any
// clone of the source.
const cache = "/var/cache/muster-lab"
