// Verify one bundle with sigstore-js:  node verify.mjs BUNDLE TRUSTED_ROOT IDENTITY ISSUER DIGEST
//
// DIGEST says over what a log entry's digest of a DSSE envelope is taken to be: "payload", as sigstore-js has it, or
// "pae", the pre-authentication encoding, as Rekor v2 and sigstore-python have it. Nothing else is changed.
//
// Prints one JSON object; exits with 0 if the bundle verified, with 1 if it was refused, with 2 if it wasn't tried.

import { readFileSync } from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { crypto } from '@sigstore/core';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const [bundlePath, rootPath, identity, issuer, digest] = process.argv.slice(2);
if (!['payload', 'pae'].includes(digest)) {
  console.error('usage: node verify.mjs BUNDLE TRUSTED_ROOT IDENTITY ISSUER payload|pae');
  process.exit(2);
}
const load = (path) => JSON.parse(readFileSync(path, 'utf8'));
// The policy's identity is a regular expression there; ours is exact.
const exactly = (text) => `^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;

let answer;
try {
  const entity = toSignedEntity(bundleFromJSON(load(bundlePath)));
  if (digest === 'pae') {
    const content = entity.signature;
    content.compareDigest = (logged) => crypto.bufferEqual(logged, crypto.digest('sha256', content.preAuthEncoding));
  }
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(load(rootPath))));
  const signer = verifier.verify(entity, { subjectAlternativeName: exactly(identity), extensions: { issuer } });
  answer = { verified: true, identity: signer.identity.subjectAlternativeName, issuer: signer.identity.extensions.issuer };
} catch (error) {
  answer = { verified: false, code: error.code ?? error.name, message: error.message };
}
console.log(JSON.stringify(answer));
process.exitCode = answer.verified ? 0 : 1;
