// Prints a JWK provisioner of step-ca as JSON, its key encrypted with the password in the first argument by step's own code,
// and then the key in PEM.
package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"

	"go.step.sm/crypto/jose"
	"go.step.sm/crypto/pemutil"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name, password string) error {
	public, encrypted, err := jose.GenerateDefaultKeyPair([]byte(password))
	if err != nil {
		return err
	}
	jwe, err := encrypted.CompactSerialize()
	if err != nil {
		return err
	}
	decrypted, err := encrypted.Decrypt([]byte(password))
	if err != nil {
		return err
	}
	var private jose.JSONWebKey
	if err := json.Unmarshal(decrypted, &private); err != nil {
		return err
	}
	block, err := pemutil.Serialize(private.Key)
	if err != nil {
		return err
	}
	provisioner := map[string]any{"type": "JWK", "name": name, "key": public, "encryptedKey": jwe}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"provisioner": provisioner,
		"privateKey":  string(pem.EncodeToMemory(block)),
	})
}
