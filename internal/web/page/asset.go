package page

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"strings"
)

type asset struct {
	data        []byte
	contentType string
	etag        string
}

var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Asset returns a file that pages refer to. Its name has a hash of the content,
// so that it may be cached for ever.
func (r *Renderer) Asset(name string) (data []byte, contentType, etag string, ok bool) {
	a, ok := r.assets[name]
	return a.data, a.contentType, a.etag, ok
}

// loadAssets returns the hashed name of each asset.
func (r *Renderer) loadAssets(files overlay) (map[string]string, error) {
	r.assets = map[string]asset{}
	hashed := map[string]string{}
	for _, name := range []string{"dark.css", "style.css", "app.js", "webauthn.js", "logo.svg"} {
		data, err := files.read("assets/" + name)
		if err != nil {
			return nil, err
		}
		if name == "style.css" {
			extra, err := files.read("assets/theme.css")
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			data += extra
		}
		sum := sha256.Sum256([]byte(data))
		hash, ext := hex.EncodeToString(sum[:8]), path.Ext(name)
		hashed[name] = strings.TrimSuffix(name, ext) + "-" + hash + ext
		r.assets[hashed[name]] = asset{data: []byte(data), contentType: contentTypes[ext], etag: `"` + hash + `"`}
	}
	return hashed, nil
}
