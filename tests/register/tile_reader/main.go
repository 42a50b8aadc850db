// Reads a log of C2SP tlog-tiles from a server with torchwood, an implementation by other authors:
// `tilereader URL VKEY [SIZE ROOT]`. It checks the checkpoint's signature, every tile and every
// entry, and an inclusion proof of each; SIZE and ROOT (base64) are an earlier checkpoint's, which
// the log must begin with. It prints the entries, a line each.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	ctx := context.Background()
	url, vkey := os.Args[1], os.Args[2]
	fetcher, err := torchwood.NewTileFetcher(url)
	check(err)
	client, err := torchwood.NewClient(fetcher)
	check(err)
	signed, err := fetcher.ReadEndpoint(ctx, "checkpoint")
	check(err)
	verifier, err := note.NewVerifier(vkey)
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	head, err := torchwood.ParseCheckpoint(opened.Text)
	check(err)
	if head.Origin != verifier.Name() {
		log.Fatalf("origin %q is signed by %q", head.Origin, verifier.Name())
	}
	tree := head.Tree
	for index, entry := range client.AllEntries(ctx, tree, 0) {
		proved, proof, err := client.Entry(ctx, tree, index)
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
		if string(proved) != string(entry) {
			log.Fatalf("entry %d is two", index)
		}
		fmt.Println(string(entry))
	}
	check(client.Err())
	if len(os.Args) > 3 {
		size, err := strconv.ParseInt(os.Args[3], 10, 64)
		check(err)
		root, err := tlog.ParseHash(os.Args[4])
		check(err)
		hashes := torchwood.TileHashReaderWithContext(ctx, tree, fetcher)
		proof, err := tlog.ProveTree(tree.N, size, hashes)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, size, root))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
