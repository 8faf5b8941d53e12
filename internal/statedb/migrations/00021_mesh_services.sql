-- +goose Up

-- The ports that were chosen of Services which workloads make, so that their callers keep
-- them. version is that of the area mesh-registry with the last change. gone is since when
-- the Service has no workload, in Unix milliseconds by the store's clock; 0 is that it has.
CREATE TABLE mesh_services (
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	version BIGINT NOT NULL,
	ports TEXT NOT NULL,
	gone BIGINT NOT NULL,
	PRIMARY KEY (namespace, name)
);
CREATE INDEX mesh_services_by_version ON mesh_services (version);
