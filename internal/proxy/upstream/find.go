package upstream

// Has tells whether the cluster has an endpoint of that address now.
func (c *Cluster) Has(address string) bool {
	return c.view.Load().byAddress[address] != nil
}
