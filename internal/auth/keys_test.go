package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
)

func TestParsePEM(t *testing.T) {
	t.Parallel()
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	public := func(key any) []byte { return block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key))) }
	rsaKey := testKeys()["rsa"].(*rsa.PrivateKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate := block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey)))

	t.Run("public keys and certificates are read, several from one file", func(t *testing.T) {
		data := append(block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)), certificate...)
		keys, err := parsePEM(append(data, publicPEM(t, "ed25519")...))
		if err != nil || len(keys) != 3 || keys[0].kind != rsaKind || keys[1].kind != rsaKind || keys[2].kind != ed25519Kind {
			t.Errorf("keys are %v, %v", keys, err)
		}
	})

	t.Run("[R7] weak and foreign keys stop the start", func(t *testing.T) {
		weak := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
		for want, data := range map[string][]byte{
			"RSA key of 1024 bits":   public(weak),
			"elliptic curve P-521":   public(must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)).Public()),
			"malformed certificate":  block("CERTIFICATE", []byte("x")),
			"want PUBLIC KEY":        block("EC PRIVATE KEY", []byte("x")),
			"no PEM block found":     nil,
			"PEM block \"PARAMETERS": block("PARAMETERS", nil),
		} {
			if _, err := parsePEM(data); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
	})
}
