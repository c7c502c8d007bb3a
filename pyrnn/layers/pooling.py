        return dx
