package dev.metacircular.agent;

import io.grpc.Context;

/** Who makes a call, once the token was found good. */
record Caller(String token, Role role) {
    static final Context.Key<Caller> KEY = Context.key("caller");

    /** The caller of the present call; there is one behind {@link AuthInterceptor}. */
    static Caller current() {
        Caller caller = KEY.get();
        if (caller == null) {
            throw new IllegalStateException("a call came past the check of its token");
        }
        return caller;
    }
}
