import { Ship } from 'lucide-react';
import { NavLink } from 'react-router';

export function Masthead() {
  return (
    <header className="masthead">
      <NavLink to="/" className="brand" end>
        <Ship aria-hidden="true" size={26} />
        <span>Harbour Ledger</span>
      </NavLink>
      <nav aria-label="Main">
        <NavLink to="/" end>
          Board
        </NavLink>
        <NavLink to="/about">About</NavLink>
      </nav>
    </header>
  );
}
