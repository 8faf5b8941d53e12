package upstream

// Has tells whether the cluster has an endpoint of that name now.
func (c *Cluster) Has(name string) bool {
	return c.view.Load().byName[name] != nil
}
