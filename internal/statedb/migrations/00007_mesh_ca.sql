-- +goose Up

-- Authorities of trust domains: roots that sign certificates (purpose x509), keys that
-- sign tokens (jwt), and roots of authorities outside (external), of which there is no key.
-- Each signs from signs_from on until the next one does, and is trusted as long as
-- something that it signed may be alive: at least until kept_until. lifetime is the
-- longest of what is signed. public is PEM; sealed is the key, by a secret that is not
-- here. Times are in Unix milliseconds, lifetimes in milliseconds.
CREATE TABLE mesh_authorities (
	trust_domain TEXT NOT NULL,
	purpose TEXT NOT NULL,
	serial BIGINT NOT NULL,
	signs_from BIGINT NOT NULL,
	kept_until BIGINT NOT NULL,
	lifetime BIGINT NOT NULL,
	public TEXT NOT NULL,
	sealed TEXT NOT NULL,
	PRIMARY KEY (trust_domain, purpose, serial)
);

-- Tokens by which machines join. The secret is sealed, not hashed: it is the key by which
-- both ends prove that they know it. grants is JSON; max_uses 0 is any number.
CREATE TABLE mesh_join_tokens (
	id TEXT NOT NULL PRIMARY KEY,
	sealed TEXT NOT NULL,
	grants TEXT NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	max_uses BIGINT NOT NULL,
	uses BIGINT NOT NULL,
	last_used BIGINT NOT NULL
);

-- Who has joined by a token: an answer that was lost may be asked for again by the same
-- key. public_key is the SHA-256 of its SubjectPublicKeyInfo.
CREATE TABLE mesh_joins (
	token TEXT NOT NULL,
	public_key TEXT NOT NULL,
	spiffe_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (token, public_key)
);

-- Certificates that are alive, and how their owners proved who they are.
CREATE TABLE mesh_svids (
	serial TEXT NOT NULL PRIMARY KEY,
	spiffe_id TEXT NOT NULL,
	issued BIGINT NOT NULL,
	ends BIGINT NOT NULL,
	via TEXT NOT NULL,
	peer TEXT NOT NULL
);
CREATE INDEX mesh_svids_by_id ON mesh_svids (spiffe_id, issued);
CREATE INDEX mesh_svids_by_end ON mesh_svids (ends);

-- Identities, certificates, or certificates of an identity that are refused. Empty is any;
-- expires 0 is never.
CREATE TABLE mesh_denials (
	spiffe_id TEXT NOT NULL,
	serial TEXT NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (spiffe_id, serial)
);
