package main

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	maxBody    = 128 << 10
	maxSeconds = 366 * 24 * 3600
)

// profile is how requests for it are answered.
type profile struct {
	// After so long; at once where it is 0.
	takes time.Duration
	// With this status, whatever they ask.
	refused int
}

var profiles = map[string]profile{
	"server": {},
	"slow":   {takes: 3 * time.Second},
	"busy":   {refused: http.StatusServiceUnavailable},
	"closed": {refused: http.StatusForbidden},
}

// order is what a client asks for, and what becomes of it.
type order struct {
	CSR             string `json:"csr"`
	Profile         string `json:"profile"`
	DurationSeconds int64  `json:"durationSeconds"`
	RequestID       string `json:"requestId"`

	chain string
	done  time.Time
}

type api struct {
	ca    *ca
	token string

	mutex sync.Mutex
	// By requestId, which is the number of an order too.
	orders map[string]order
}

func newAPI(ca *ca, token string) *api {
	return &api{ca: ca, token: token, orders: map[string]order{}}
}

func (a *api) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /profiles/{name}", a.authorized(a.checkProfile))
	routes.HandleFunc("POST /certificates", a.authorized(a.orderCertificate))
	routes.HandleFunc("GET /orders/{id}", a.authorized(a.askForOrder))
	return routes
}

func (a *api) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+a.token)) != 1 {
			refuse(w, http.StatusUnauthorized, "the token is missing or another one")
			return
		}
		next(w, r)
	}
}

func (a *api) checkProfile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if found, ok := profiles[name]; !ok {
		refuse(w, http.StatusNotFound, "there is no such profile")
	} else if found.refused == http.StatusForbidden {
		refuse(w, found.refused, "this token may not use the profile")
	} else {
		answer(w, http.StatusOK, map[string]string{"profile": name})
	}
}

func (a *api) orderCertificate(w http.ResponseWriter, r *http.Request) {
	var asked order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	profile, ok := profiles[asked.Profile]
	if !ok {
		refuse(w, http.StatusNotFound, "there is no such profile")
		return
	}
	if profile.refused != 0 {
		w.Header().Set("Retry-After", "2")
		refuse(w, profile.refused, "this profile is not served")
		return
	}
	if asked.RequestID == "" || asked.DurationSeconds <= 0 || asked.DurationSeconds > maxSeconds {
		refuse(w, http.StatusUnprocessableEntity, "a requestId and a lifetime of up to 366 days are expected")
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	known, ok := a.orders[asked.RequestID]
	if ok && known.CSR != asked.CSR {
		refuse(w, http.StatusConflict, "there is another order with this requestId")
		return
	}
	if !ok {
		request, err := parseRequest(asked.CSR)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err.Error())
			return
		}
		if asked.chain, err = a.ca.issue(request, time.Duration(asked.DurationSeconds)*time.Second); err != nil {
			refuse(w, http.StatusUnprocessableEntity, err.Error())
			return
		}
		asked.done = time.Now().Add(profile.takes)
		known, a.orders[asked.RequestID] = asked, asked
	}
	a.tell(w, http.StatusCreated, known)
}

func (a *api) askForOrder(w http.ResponseWriter, r *http.Request) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	known, ok := a.orders[r.PathValue("id")]
	if !ok {
		refuse(w, http.StatusNotFound, "there is no such order")
		return
	}
	a.tell(w, http.StatusOK, known)
}

// tell answers with the certificate, or that it is not there yet.
func (a *api) tell(w http.ResponseWriter, status int, known order) {
	wait := time.Until(known.done)
	if wait <= 0 {
		answer(w, status, map[string]string{"chain": known.chain, "ca": a.ca.root.pem()})
		return
	}
	w.Header().Set("Retry-After", fmt.Sprint(1+int(wait.Seconds())))
	answer(w, http.StatusAccepted, map[string]string{"order": known.RequestID})
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"error": why})
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that is gone does not need it.
	_ = json.NewEncoder(w).Encode(body)
}
