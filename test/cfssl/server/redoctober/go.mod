module github.com/cloudflare/redoctober

go 1.26.0
